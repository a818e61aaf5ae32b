// Whose turn it is among the requests that wait for one model: classes first, then API keys in turn, then the shortest or
// the oldest. Pure, not thread-safe.
//
// Classes are served in strict order, but each waiting class gets at least kLowerShare of the turns. Within a class the key
// that was served least goes first (start-time fair queueing, Goyal et al., 1996), so that one key's flood is that key's own
// wait. Within a key: shortest prefill first with aging (`shortest_first`), else first come, first served.
//
// Who may not wait any more, when all places are taken, is said here too (to_displace): by the same classes and keys.
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
  static constexpr double kMostCredit = 2;         ///< turns that a class is owed: it may have had no use for more
  static constexpr std::size_t kMostTried = 512;   ///< requests that `ready` is asked about, in one call of next()
  static constexpr std::size_t kTriedOfKey = 128;  ///< the same where several keys wait: one whose instances are all
                                                   ///< busy must not hide the others

  /// Would it find a place? `nobody`: nor would any other, so that none needs to be asked.
  enum class Place : std::uint8_t { yes, no, nobody };
  using Ready = std::function<Place(std::uint64_t)>;

  void add(const WaitItem& item);  ///< in the place of one with the same id, if there is one
  bool remove(std::uint64_t id);
  [[nodiscard]] bool contains(std::uint64_t id) const { return places_.contains(id); }
  [[nodiscard]] std::size_t size() const { return places_.size(); }
  [[nodiscard]] bool empty() const { return places_.empty(); }

  /// The first in order that has a place. It stays until it is removed.
  [[nodiscard]] std::optional<std::uint64_t> next(const WaitRule& rule, const Ready& ready);
  /// Removes it and counts its turn. False: it is not here.
  bool take(std::uint64_t id);
  /// The turn came to nothing: as add, and if it was the last one that was taken, as if it had not been.
  void put_back(const WaitItem& item);
  /// Whose place one of this class and owner may take when there is no other: the newest of a lower class that has more
  /// than kLowerShare of all places, else of a key of its own class that would still have no fewer places than its own.
  [[nodiscard]] std::optional<std::uint64_t> to_displace(Priority priority, std::uint64_t owner) const;

 private:
  struct Owner {
    double served = 0;
    std::map<std::uint64_t, WaitItem> items;
    std::set<std::pair<double, std::uint64_t>> by_key;  // of these, by key_of
  };
  struct Class {
    // Those with items, and those who have had more than newcomers begin with: they must not come back as newcomers.
    std::unordered_map<std::uint64_t, Owner> owners;
    std::set<std::pair<double, std::uint64_t>> by_served;  // of the former
    std::set<std::pair<double, std::uint64_t>> departed;   // of the latter
    double clock = 0;   // served of the last one whose turn it was: where newcomers begin
    double credit = 0;  // turns that it is owed
    std::size_t count = 0;
  };
  struct Where {
    Priority priority;
    std::uint64_t owner;
  };
  struct Taken {
    std::uint64_t id = 0;  // 0 = none
    double served = 0;     // of its owner, before
    std::array<double, kPriorities> credit{};
  };
  /// Keys that time does not change: what two requests gain by waiting on is the same.
  [[nodiscard]] std::pair<double, std::uint64_t> key_of(const WaitItem& item) const;
  void age_by(double aging);
  /// `tries`: how many may still be asked; 0 when nobody has a place.
  std::optional<std::uint64_t> next_of(Class& of, bool shortest_first, std::size_t& tries, const Ready& ready);
  void drop(Class& of, std::uint64_t owner, std::uint64_t id);
  /// The owner with the most items; nullptr without any.
  [[nodiscard]] static const Owner* fullest(const Class& of);

  std::array<Class, kPriorities> classes_;
  std::unordered_map<std::uint64_t, Where> places_;
  Taken taken_;       // last
  double aging_ = 0;  // of the keys
};

}  // namespace svc::router
