// Bounds of a text setting or field.
#pragma once

#include <cstddef>
#include <limits>

namespace svc {

struct TextLimits {
  std::size_t min = 0;  ///< bytes
  std::size_t max = std::numeric_limits<std::size_t>::max();
  bool controls = false;  ///< whether bytes below 0x20 and DEL are allowed (they forge log lines)
};

}  // namespace svc
