// Percent-encoding of one path segment (RFC 3986 section 2.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace svc {

/// Decodes once; '+' stays '+'. nullopt for a bad or cut escape, for a NUL (%00 or raw) and for other control
/// characters that are raw. Decoded bytes need not be UTF-8.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

/// Letters, digits, '-', '.', '_', '~' stay; every other byte becomes %XX (upper case).
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace svc
