# bench: one program a question.
# programs: bench/*.c
noinst_PROGRAMS += \
	bench/peer
# files: bench/*.h
noinst_HEADERS = \
	bench/bench.h
# files: bench/**/* !bench/*.c !bench/*.h !bench/local.mk
EXTRA_DIST += \
	bench/stalled.sh
