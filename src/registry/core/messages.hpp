// Words that more than one part of the registry uses.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/core/error.hpp"

namespace svc::registry {

/// Existing clients compare this text.
inline Error no_such_service(std::string_view name) {
  return not_found("Service '" + std::string(name) + "' not found");
}

/// To somebody who takes `given` for the present generation.
inline Error taken_since(std::string_view name, std::uint64_t present, std::uint64_t given) {
  return conflict("Service '" + std::string(name) + "' has been registered by someone else since: its generation is " +
                  std::to_string(present) + ", not " + std::to_string(given));
}

/// "300 s", rounded down: for log lines, where times are compared by eye.
inline std::string in_seconds(Duration value) {
  return std::to_string(std::chrono::floor<std::chrono::seconds>(value).count()) + " s";
}

}  // namespace svc::registry
