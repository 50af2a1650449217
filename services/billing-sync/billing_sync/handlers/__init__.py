"""Use cases, one a file: taking outcomes in, closing, making files, reading acknowledgements."""
