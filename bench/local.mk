# bench: one program a question.
# programs: bench/*.c
noinst_PROGRAMS +=
# files: bench/**/* !bench/*.c !bench/*.h !bench/local.mk
EXTRA_DIST +=
