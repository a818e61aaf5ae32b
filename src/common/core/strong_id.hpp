// Distinct types for values that share a representation: StrongId<struct RevisionTag, std::uint64_t>.
// No implicit conversion either way, so that a revision is never passed for a count.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <utility>

namespace svc {

template <class Tag, class Rep>
class StrongId {
 public:
  using rep = Rep;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(std::move(value)) {}
  [[nodiscard]] constexpr const Rep& value() const noexcept { return value_; }

  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
  friend constexpr bool operator==(const StrongId&, const StrongId&) = default;

 private:
  Rep value_{};
};

}  // namespace svc

template <class Tag, class Rep>
struct std::hash<svc::StrongId<Tag, Rep>> {
  std::size_t operator()(const svc::StrongId<Tag, Rep>& id) const noexcept(noexcept(std::hash<Rep>{}(id.value()))) {
    return std::hash<Rep>{}(id.value());
  }
};
