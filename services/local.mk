# services: systems on the framework, each a library of its own that knows public headers alone.
noinst_LTLIBRARIES += librendezvous.la
librendezvous_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: services/rendezvous/*.c services/rendezvous/*.h
librendezvous_la_SOURCES = \

SERVICES_LIBS = librendezvous.la $(GATEWAY_LIBS)
