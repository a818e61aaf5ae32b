#include "common/core/error.hpp"

#include <utility>

#include "common/core/result.hpp"

namespace svc {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::not_found: return "not_found";
    case Errc::conflict: return "conflict";
    case Errc::unauthorized: return "unauthorized";
    case Errc::forbidden: return "forbidden";
    case Errc::too_large: return "too_large";
    case Errc::limit_exceeded: return "limit_exceeded";
    case Errc::unavailable: return "unavailable";
    case Errc::timed_out: return "timed_out";
    case Errc::connect_failed: return "connect_failed";
    case Errc::connection_lost: return "connection_lost";
    case Errc::protocol_error: return "protocol_error";
    case Errc::io_error: return "io_error";
    case Errc::cancelled: return "cancelled";
    case Errc::internal: return "internal";
  }
  return "unknown";
}

std::string_view to_string(ErrorSource source) {
  switch (source) {
    case ErrorSource::client: return "client";
    case ErrorSource::peer: return "peer";
    case ErrorSource::self: return "self";
  }
  return "unknown";
}

std::string Error::to_string() const {
  if (cause.empty()) return message;
  return message + ": " + cause;
}

namespace {

Error from_client(Errc code, std::string message) {
  return Error{code, ErrorSource::client, false, std::move(message), {}};
}

Error from_peer(Errc code, bool retryable, std::string message, std::string cause) {
  return Error{code, ErrorSource::peer, retryable, std::move(message), std::move(cause)};
}

Error from_self(Errc code, std::string message, std::string cause) {
  return Error{code, ErrorSource::self, false, std::move(message), std::move(cause)};
}

}  // namespace

Error invalid(std::string message) { return from_client(Errc::invalid_argument, std::move(message)); }
Error not_found(std::string message) { return from_client(Errc::not_found, std::move(message)); }
Error conflict(std::string message) { return from_client(Errc::conflict, std::move(message)); }
Error too_large(std::string message) { return from_client(Errc::too_large, std::move(message)); }
Error limit_exceeded(std::string message) { return from_client(Errc::limit_exceeded, std::move(message)); }

Error io_failed(std::string message, std::string cause) {
  return from_self(Errc::io_error, std::move(message), std::move(cause));
}
Error cancelled(std::string message) { return from_self(Errc::cancelled, std::move(message), {}); }
Error internal_error(std::string message, std::string cause) {
  return from_self(Errc::internal, std::move(message), std::move(cause));
}

Error timed_out(std::string message, std::string cause) {
  return from_peer(Errc::timed_out, true, std::move(message), std::move(cause));
}
Error connect_failed(std::string message, std::string cause) {
  return from_peer(Errc::connect_failed, true, std::move(message), std::move(cause));
}
Error connection_lost(std::string message, std::string cause) {
  return from_peer(Errc::connection_lost, true, std::move(message), std::move(cause));
}
Error unavailable(std::string message, std::string cause) {
  return from_peer(Errc::unavailable, true, std::move(message), std::move(cause));
}
Error protocol_error(std::string message, std::string cause) {
  return from_peer(Errc::protocol_error, false, std::move(message), std::move(cause));
}

Error wrap(std::string message, const Error& beneath) {
  return Error{beneath.code, beneath.source, beneath.retryable, std::move(message), beneath.to_string()};
}

void throw_exception_from_error(const Error& error, const boost::source_location& /*where*/) { throw BadResult(error); }

}  // namespace svc
