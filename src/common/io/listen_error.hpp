// Why a port cannot be listened on, in words that say what to do.
#pragma once

#include "common/core/endpoint.hpp"
#include "common/core/error.hpp"

namespace svc {

/// "cannot listen on HOST:PORT: REASON". `error` is the errno of socket, bind or listen.
[[nodiscard]] Error listen_error(const Endpoint& where, int error);

}  // namespace svc
