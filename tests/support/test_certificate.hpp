// A throw-away certificate for localhost and 127.0.0.1, signed by itself.
#pragma once

#include "common/io/tls.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::test {

/// Writes server.pem and server.key into the folder. `ca` of the result is the certificate itself. Throws on failure.
TlsFiles make_certificate(const TempFolder& folder);

}  // namespace svc::test
