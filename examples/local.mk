# examples: the tutorial.
# programs: examples/*.c
noinst_PROGRAMS +=
