# test: mirrors the rooms.
