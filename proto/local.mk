# proto: the wire as values.  What protoc-c makes is a library of its own, because it is not
# ours to keep free of warnings.
noinst_LTLIBRARIES += libpb.la libproto.la
nodist_libpb_la_SOURCES =
libpb_la_SOURCES = proto/chanserv.pb-c.c proto/chanserv.pb-c.h
libpb_la_CFLAGS = -std=c11 -fvisibility=hidden $(SANITIZERS) $(HARDENING) -w

libproto_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: proto/*.c proto/*.h
libproto_la_SOURCES = \
	proto/control.c \
	proto/debug.c \
	proto/debug.h \
	proto/describe.c \
	proto/descriptors.c \
	proto/field.c \
	proto/frame.c \
	proto/grpc.c \
	proto/health.c \
	proto/health.h \
	proto/names.c \
	proto/reflect.c \
	proto/reflect.h \
	proto/services.c \
	proto/session.c \
	proto/status.c \
	proto/status.h \
	proto/up.c \
	proto/wire.h \
	proto/wire__describe.h \
	proto/wire__field.h
PROTO_LIBS = libproto.la libpb.la $(BASE_LIBS) $(PROTOBUF_C_LIBS)

# One rule makes two files: the stamp stands for both, so that a parallel make runs it once.  The
# tarball brings all three; a build from it needs no protoc-c.
BUILT_SOURCES += proto/chanserv.pb-c.c proto/chanserv.pb-c.h
EXTRA_DIST += proto/chanserv.proto proto/chanserv.stamp
# What else is spoken: not compiled; test/descriptors.sh makes proto/descriptors.c of them.
# files: proto/debug.proto proto/grpc/**/*.proto
EXTRA_DIST += \
	proto/debug.proto \
	proto/grpc/health/v1/health.proto \
	proto/grpc/reflection/v1/reflection.proto \
	proto/grpc/reflection/v1alpha/reflection.proto
MAINTAINERCLEANFILES = proto/chanserv.pb-c.c proto/chanserv.pb-c.h proto/chanserv.stamp

proto/chanserv.stamp: $(top_srcdir)/proto/chanserv.proto
	$(AM_V_GEN)$(MKDIR_P) proto && rm -f $@ $@-t && touch $@-t && \
	$(PROTOC_C) -I$(top_srcdir) --c_out=. $(top_srcdir)/proto/chanserv.proto && mv -f $@-t $@

# When somebody deleted one of the two.
proto/chanserv.pb-c.c proto/chanserv.pb-c.h: proto/chanserv.stamp
	@test -f $@ || test -f $(top_srcdir)/$@ || \
	    { rm -f proto/chanserv.stamp && $(MAKE) $(AM_MAKEFLAGS) proto/chanserv.stamp; }

$(libpb_la_OBJECTS) $(libproto_la_OBJECTS): proto/chanserv.pb-c.h
