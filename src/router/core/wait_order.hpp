// Whose turn it is among the requests that wait for one model: classes first, then API keys in turn, then the shortest or
// the oldest. Pure, not thread-safe.
//
// Classes are served in strict order, but each waiting class gets at least kLowerShare of the turns. Within a class the key
// that was served least goes first (start-time fair queueing, Goyal et al., 1996), so that one key's flood is that key's own
// wait. Within a key: shortest prefill first with aging (`shortest_first`), else first come, first served.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/core/clock.hpp"

namespace svc::router {

enum class Priority : std::uint8_t { interactive, standard, batch };
inline constexpr std::size_t kPriorities = 3;
[[nodiscard]] std::string_view to_string(Priority priority);  ///< "interactive", "default", "batch"
/// Case does not matter. nullopt for an unknown name.
[[nodiscard]] std::optional<Priority> parse_priority(std::string_view name);

struct WaitItem {
  std::uint64_t id = 0;  ///< grows with the order of arrival
  Priority priority = Priority::standard;
  std::uint64_t owner = 0;  ///< the API key; 0 = none
  TimePoint since{};
  double seconds = 0;  ///< of prefill that it needs at its best instance; 0 = not known
};

struct WaitRule {
  bool shortest_first = false;
  double aging = 0;  ///< seconds of prefill that a second of waiting is worth
};

class WaitOrder {
 public:
  static constexpr double kLowerShare = 0.1;
  static constexpr std::size_t kMostLooked = 512;  ///< of a key's requests, the oldest, whose turns are compared
  static constexpr std::size_t kMostTried = 64;    ///< requests that `ready` is asked about, in one call of next()

  void add(const WaitItem& item);
  bool remove(std::uint64_t id);
  [[nodiscard]] bool contains(std::uint64_t id) const { return places_.contains(id); }
  [[nodiscard]] std::size_t size() const { return places_.size(); }
  [[nodiscard]] bool empty() const { return places_.empty(); }

  /// The first in order for which `ready` is true. It stays until it is removed.
  [[nodiscard]] std::optional<std::uint64_t> next(TimePoint now, const WaitRule& rule,
                                                  const std::function<bool(std::uint64_t)>& ready);
  /// Removes it and counts its turn. False: it is not here.
  bool take(std::uint64_t id);

 private:
  struct Owner {
    double served = 0;
    std::map<std::uint64_t, WaitItem> items;
  };
  struct Class {
    std::unordered_map<std::uint64_t, Owner> owners;       // those with items
    std::set<std::pair<double, std::uint64_t>> by_served;  // of these
    double clock = 0;   // served of the last one whose turn it was: where newcomers begin
    double credit = 0;  // turns that it is owed
    std::size_t count = 0;
  };
  struct Place {
    Priority priority;
    std::uint64_t owner;
  };
  std::optional<std::uint64_t> next_of(Class& of, TimePoint now, const WaitRule& rule, std::size_t& tries,
                                       const std::function<bool(std::uint64_t)>& ready);
  void drop(Class& of, std::uint64_t owner, std::uint64_t id);

  std::array<Class, kPriorities> classes_;
  std::unordered_map<std::uint64_t, Place> places_;
  std::vector<std::pair<double, std::uint64_t>> keys_;  // scratch
};

}  // namespace svc::router
