// Sets every formula of the page with KaTeX. Arithmatex leaves them in elements of class
// "arithmatex", between \( \) or \[ \]. document$ is Material's stream of loaded pages.
document$.subscribe(() => {
  for (const element of document.querySelectorAll(".arithmatex")) {
    const text = element.textContent.trim();
    if (!text.startsWith("\\(") && !text.startsWith("\\[")) continue; // already set
    katex.render(text.slice(2, -2), element, {
      displayMode: text.startsWith("\\["),
      throwOnError: false,
      strict: "ignore",
    });
  }
});
