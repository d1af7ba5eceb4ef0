"""A module of the project that reads a setting when it is loaded."""

import os

NAME = os.environ["NAME"]
