"""The steps of the image build: modules of the standard library alone, from Python 3.8 on, until the image has more."""
