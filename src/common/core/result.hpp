// Result<T>: a T or an Error. boost::system::result is used because libstdc++ 12 has no std::expected in C++20.
// Return a value or an Error directly; test with has_value()/has_error(). value() on an error throws BadResult, which
// is a bug in the caller, not a way to report failures. A Result<nlohmann::json> has to be made with
// boost::system::in_place_value, because json converts to anything.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>

#include "common/core/error.hpp"

namespace svc {

template <class T>
using Result = boost::system::result<T, Error>;

/// Thrown by Result<T>::value() when there is none.
class BadResult : public std::logic_error {
 public:
  explicit BadResult(Error error) : std::logic_error(error.to_string()), error_(std::move(error)) {}
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

/// Found by argument-dependent lookup from boost::system::result::value().
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

}  // namespace svc
