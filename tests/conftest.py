"""What all tests share: properties are judged by what they find, not by how long they take."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
