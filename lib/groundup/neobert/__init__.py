"""Part II: NeoBERT in PyTorch, its tokenizer, its pretraining, its parity with NumPy."""
