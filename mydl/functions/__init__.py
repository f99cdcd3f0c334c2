"""PyTorch's tensor functions, a family a file. A method of MyTensor is the same function, its first argument self."""
