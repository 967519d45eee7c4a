# gateway: the other dialects on the same port, and what operators' tools ask.
noinst_LTLIBRARIES += libgateway.la
libgateway_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: gateway/*.c gateway/*.h
libgateway_la_SOURCES = \
	gateway/admin.c \
	gateway/admin.h \
	gateway/admin__in.h \
	gateway/health.c \
	gateway/http1.c \
	gateway/http1__in.h \
	gateway/http1_body.c \
	gateway/http1_head.c \
	gateway/http1_say.c \
	gateway/reflection.c \
	gateway/url.c \
	gateway/url__in.h
GATEWAY_LIBS = libgateway.la $(CHANSERV_LIBS)
