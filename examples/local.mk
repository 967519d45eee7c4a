# examples: the tutorial.
# programs: examples/*.c
noinst_PROGRAMS +=
# files: examples/* !examples/*.c !examples/local.mk
EXTRA_DIST +=
EXTRA_DIST += examples/.clang-format
