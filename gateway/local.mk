# gateway: HTTP for those without a stub.
noinst_LTLIBRARIES += libgateway.la
libgateway_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: gateway/*.c gateway/*.h
libgateway_la_SOURCES = \
	gateway/http1.c \
	gateway/http1__in.h \
	gateway/http1_body.c \
	gateway/http1_head.c \
	gateway/http1_say.c \
	gateway/url.c \
	gateway/url__in.h
GATEWAY_LIBS = libgateway.la $(CHANSERV_LIBS)
