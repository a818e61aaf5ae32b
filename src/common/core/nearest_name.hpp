// "did you mean 'port'?": the known name closest to a mistyped one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace svc {

/// The known name with the smallest edit distance (Levenshtein), if that is at most max(2, length/3) and less than the
/// length of either; the first of equals. Names over 128 bytes have none.
[[nodiscard]] std::optional<std::string> nearest_name(std::string_view wanted, std::span<const std::string_view> known);

}  // namespace svc
