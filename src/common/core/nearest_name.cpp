#include "common/core/nearest_name.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace svc {
namespace {

constexpr std::size_t kMaxLength = 128;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::array<std::size_t, kMaxLength + 1> row{};
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::string> nearest_name(std::string_view wanted, std::span<const std::string_view> known) {
  if (wanted.size() > kMaxLength) return std::nullopt;
  std::size_t best = std::max<std::size_t>(2, wanted.size() / 3) + 1;
  std::optional<std::string> found;
  for (const std::string_view name : known) {
    if (name.size() > kMaxLength) continue;
    const std::size_t distance = edit_distance(wanted, name);
    if (distance >= best || distance >= std::min(name.size(), wanted.size())) continue;
    best = distance;
    found = std::string(name);
  }
  return found;
}

}  // namespace svc
