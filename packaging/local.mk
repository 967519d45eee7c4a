# packaging: units for systemd, and a configuration that they and people begin with.
#
# The units go where configure was told (--with-systemdsystemunitdir), else they are examples too.
exampledir = $(docdir)/examples
dist_example_DATA = packaging/chanserv.conf
units = packaging/chanserv.service packaging/chanserv.socket
if WITH_SYSTEMD
systemdsystemunit_DATA = $(units)
else
example_DATA = $(units)
endif
CLEANFILES += packaging/chanserv.service
# files: packaging/* !packaging/chanserv.service
EXTRA_DIST += \
	packaging/chanserv.conf \
	packaging/chanserv.service.in \
	packaging/chanserv.socket \
	packaging/local.mk
packaging/chanserv.service: packaging/chanserv.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging && sed -e 's|@bindir[@]|$(bindir)|g' \
		-e 's|@sysconfdir[@]|$(sysconfdir)|g' $(srcdir)/packaging/chanserv.service.in > $@.tmp && \
		mv $@.tmp $@
