# examples: the tutorial.
# programs: examples/*.c
noinst_PROGRAMS += \
	examples/etcd \
	examples/exec \
	examples/fan_out \
	examples/quick_check \
	examples/rendezvous \
	examples/step1_serve \
	examples/step2_range \
	examples/step3_choose \
	examples/step4_slow \
	examples/step5_callbacks \
	examples/step6_select \
	examples/step7_goroutines \
	examples/tail \
	examples/watch \
	examples/work_queue
# files: examples/* !examples/*.c !examples/local.mk
EXTRA_DIST += \
	examples/consumer.js \
	examples/consumer.py \
	examples/quickstart \
	examples/session.js \
	examples/session.py
EXTRA_DIST += examples/.clang-format

# An event loop of its own, or descriptors of its own on the server's.
examples_step5_callbacks_LDADD = libchanserv.la $(EVENT_LIBS)
examples_exec_LDADD = libchanserv.la $(EVENT_LIBS)
examples_tail_LDADD = libchanserv.la $(EVENT_LIBS)

examples_rendezvous_LDADD = libchanserv-rendezvous.la libchanserv-gateway.la libchanserv.la
