# bench: measures, and checks what it receives.
# programs: bench/*.c !bench/kit_*.c !bench/peer_*.c
noinst_PROGRAMS += \
	bench/block \
	bench/grows \
	bench/peer \
	bench/rendezvous
bench_block_LDFLAGS = -pthread $(SANITIZERS) $(LTO) $(PIE) $(RELRO)
bench_block_LDADD = libbench.a $(LDADD)
bench_grows_LDADD = libbench.a $(LDADD)
bench_peer_LDFLAGS = -pthread $(SANITIZERS) $(LTO) $(PIE) $(RELRO)
bench_peer_LDADD = libbench.a $(LDADD)
bench_rendezvous_LDADD = libbench.a libchanserv-rendezvous.la libchanserv-gateway.la $(LDADD)

# What the programs share, and the parts of bench/peer.
noinst_LIBRARIES += libbench.a
# files: bench/kit_*.c bench/peer_*.c bench/*.h
libbench_a_SOURCES = \
	bench/bench.h \
	bench/kit.h \
	bench/kit_client.c \
	bench/kit_frames.c \
	bench/kit_hash.c \
	bench/kit_live.c \
	bench/kit_serve.c \
	bench/kit_work.c \
	bench/peer.h \
	bench/peer_beside.c \
	bench/peer_flows.c \
	bench/peer_idle.c \
	bench/peer_loops.c \
	bench/peer_talk.c
# files: bench/run bench/soak bench/*.sh bench/*.py bench/peers/* bench/peers/go/*
EXTRA_DIST += \
	bench/grows.sh \
	bench/others.py \
	bench/peers/Makefile \
	bench/peers/dds.c \
	bench/peers/frame.idl \
	bench/peers/go/main.go \
	bench/peers/grpc.cc \
	bench/peers/grpc.h \
	bench/peers/grpc_server.cc \
	bench/peers/nats.c \
	bench/peers/nng.c \
	bench/peers/raw.c \
	bench/peers/redis.c \
	bench/peers/spot.h \
	bench/peers/tags.h \
	bench/peers/zmq.c \
	bench/plan.py \
	bench/plots.py \
	bench/processes.py \
	bench/rendezvous.sh \
	bench/rounds.py \
	bench/run \
	bench/soak \
	bench/tables.py
