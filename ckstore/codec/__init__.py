"""Raw chunk ⇄ frame payload. Pure: no files, no tensors, no worker threads."""
