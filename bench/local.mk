# bench: one program a question.
# programs: bench/*.c
noinst_PROGRAMS +=
