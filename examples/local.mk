# examples: the tutorial.
# programs: examples/*.c
noinst_PROGRAMS += \
	examples/quick_check \
	examples/step1_serve \
	examples/step2_range \
	examples/step3_choose \
	examples/step4_slow \
	examples/step5_callbacks \
	examples/step6_select \
	examples/work_queue
# files: examples/* !examples/*.c !examples/local.mk
EXTRA_DIST += \
	examples/consumer.js \
	examples/consumer.py \
	examples/quickstart
EXTRA_DIST += examples/.clang-format

# An event loop of its own.
examples_step5_callbacks_LDADD = libchanserv.la $(EVENT_LIBS)
