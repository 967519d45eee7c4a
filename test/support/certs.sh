#!/bin/bash
# Certificates for tests that need them as files: test/support/certs.sh DIR
#
#   ca.pem                       the authority of all below, but for what other-ca.pem signed
#   server.pem, server.key       localhost, 127.0.0.1, ::1
#   client.pem, client.key       CN=alice, O=example; DNS:alice.example, URI:spiffe://example/alice
#   visitor.pem, visitor.key     CN=bob, O=elsewhere; DNS:bob.elsewhere, URI:spiffe://elsewhere/bob
#   expired.pem, expired.key     localhost, 127.0.0.1, ::1, until yesterday
#   wrong.pem, wrong.key         wrong.example
#   other-ca.pem                 an authority that nobody believes
#   stranger.pem, stranger.key   localhost, 127.0.0.1, ::1, signed by it
#
# Keys are P-256 and unencrypted; all certificates but expired.pem hold for ten years.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
here='DNS:localhost,IP:127.0.0.1,IP:::1'

# openssl tells its steps on stderr, and they are of interest only when one of them failed.
quiet() { openssl "$@" 2> said || { cat said >&2; exit 1; }; }

key() { quiet ecparam -name prime256v1 -genkey -noout -out "$1"; }

# authority NAME CN
authority() {
    key "$1.key"
    quiet req -x509 -new -key "$1.key" -sha256 -days 3650 -subj "/CN=$2" -out "$1.pem" \
        -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

# leaf NAME AUTHORITY SUBJECT SANS USAGE [FROM UNTIL]: openssl-ca(1), because it alone sets dates.
leaf() {
    local name=$1 by=$2 subject=$3 sans=$4 usage=$5
    key "$name.key"
    quiet req -new -key "$name.key" -subj "$subject" -out request
    printf '%s\n' '[ca]' 'default_ca=one' '[one]' 'database=index' 'new_certs_dir=.' \
        'rand_serial=yes' 'default_md=sha256' 'policy=any' 'preserve=yes' 'x509_extensions=leaf' '[any]' \
        'commonName=supplied' 'organizationName=optional' '[leaf]' 'basicConstraints=critical,CA:FALSE' \
        "subjectAltName=$sans" "extendedKeyUsage=$usage" > settings
    : > index
    quiet ca -batch -notext -config settings -cert "$by.pem" -keyfile "$by.key" -in request \
        -out "$name.pem" -startdate "${6:-$from}" -enddate "${7:-$until}"
}

from=$(date -u -d yesterday +%Y%m%d%H%M%SZ)
until=$(date -u -d '10 years' +%Y%m%d%H%M%SZ)

authority ca 'chanserv test CA'
authority other-ca 'other CA'
leaf server ca /CN=localhost "$here" serverAuth
leaf client ca /O=example/CN=alice 'DNS:alice.example,URI:spiffe://example/alice' clientAuth
leaf visitor ca /O=elsewhere/CN=bob 'DNS:bob.elsewhere,URI:spiffe://elsewhere/bob' clientAuth
leaf expired ca /CN=localhost "$here" serverAuth \
    "$(date -u -d '3 days ago' +%Y%m%d%H%M%SZ)" "$(date -u -d yesterday +%Y%m%d%H%M%SZ)"
leaf wrong ca /CN=wrong.example DNS:wrong.example serverAuth
leaf stranger other-ca /CN=localhost "$here" serverAuth,clientAuth
rm -f said request settings index index.* ./????????????????*.pem
