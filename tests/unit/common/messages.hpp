// What a reading of settings or of a body complained of; "" when nothing.
#pragma once

#include <string>

#include "common/core/json_reader.hpp"
#include "common/core/result.hpp"

namespace svc::test {

inline std::string message(const Result<void>& result) { return result.has_error() ? result.error().message : ""; }

inline std::string message(const JsonReader& reader) {
  const auto error = reader.error();
  return error ? error->message : "";
}

}  // namespace svc::test
