// Expected failures as values: what happened, whose fault it was, whether a retry may help, and what lay beneath.
// Shape after pingora-error: kind + source + retryable + cause. No exceptions for these.
#pragma once

#include <string>
#include <string_view>

namespace svc {

enum class Errc {
  invalid_argument,
  not_found,
  conflict,
  unauthorized,
  forbidden,
  too_large,
  limit_exceeded,
  unavailable,
  timed_out,
  connect_failed,
  connection_lost,
  protocol_error,
  io_error,
  cancelled,
  internal,
};

/// Who has to act: the one who asked us, the one we asked, or this process.
enum class ErrorSource { client, peer, self };

std::string_view to_string(Errc code);
std::string_view to_string(ErrorSource source);

struct Error {
  Errc code = Errc::internal;
  ErrorSource source = ErrorSource::self;
  bool retryable = false;
  std::string message;  ///< one sentence without a full stop, fit for a user
  std::string cause;    ///< text of what lay beneath; "" if none

  /// "message: cause", or "message" alone.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Error&, const Error&) = default;
};

// Makers for the usual combinations. Source client: never retryable.
[[nodiscard]] Error invalid(std::string message);
[[nodiscard]] Error not_found(std::string message);
[[nodiscard]] Error conflict(std::string message);
[[nodiscard]] Error too_large(std::string message);
[[nodiscard]] Error limit_exceeded(std::string message);
// Source self.
[[nodiscard]] Error io_failed(std::string message, std::string cause);
[[nodiscard]] Error cancelled(std::string message);
[[nodiscard]] Error internal_error(std::string message, std::string cause = {});
// Source peer, retryable.
[[nodiscard]] Error timed_out(std::string message, std::string cause = {});
[[nodiscard]] Error connect_failed(std::string message, std::string cause);
[[nodiscard]] Error connection_lost(std::string message, std::string cause);
[[nodiscard]] Error unavailable(std::string message, std::string cause = {});
// Source peer, not retryable: it speaks another protocol.
[[nodiscard]] Error protocol_error(std::string message, std::string cause = {});

/// The same error one level up: `message` is put before, the old text becomes the cause.
[[nodiscard]] Error wrap(std::string message, const Error& beneath);

}  // namespace svc
