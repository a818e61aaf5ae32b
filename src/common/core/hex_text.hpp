// Random bits as text: names of epochs, routers and requests.
#pragma once

#include <cstdint>
#include <string>

namespace svc {

/// Appends `digits` (at most 16) lower-case hexadecimal digits, from the lowest bits on.
inline void append_hex(std::string& out, std::uint64_t bits, unsigned digits = 16) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (; digits > 0; --digits, bits >>= 4U) {
    out += kDigits[bits & 15U];
  }
}

}  // namespace svc
