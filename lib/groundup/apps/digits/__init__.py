"""The digit models of the command line: trained, shown, asked, examined."""
