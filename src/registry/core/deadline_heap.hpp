// A min-heap of deadlines whose members know their place, so that each owner has at most one deadline and can move or
// withdraw it in O(log n).
//
// Owners derive from Hook and outlive their membership. A deadline may lie earlier than the truth: whoever takes the
// earliest one looks at the owner and moves it when it is not due yet ("lazy"), which makes postponing free.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "common/core/clock.hpp"

namespace svc::registry {

class DeadlineHeap {
 public:
  class Hook {
   public:
    bool scheduled() const { return place_ != kNowhere; }

   private:
    friend class DeadlineHeap;
    static constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();
    std::size_t place_ = kNowhere;
  };

  /// Adds the owner, or moves it to another deadline.
  void set(Hook& owner, TimePoint at);
  /// Nothing happens when the owner is not in the heap.
  void withdraw(Hook& owner);
  void reserve(std::size_t count) { items_.reserve(count); }

  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  TimePoint earliest() const { return items_.front().at; }        ///< precondition: not empty
  Hook& earliest_owner() const { return *items_.front().owner; }  ///< precondition: not empty

 private:
  struct Item {
    TimePoint at;
    Hook* owner;
  };

  void put(std::size_t place, const Item& item);
  void sift_up(std::size_t place, const Item& item);
  void sift_down(std::size_t place, const Item& item);
  void settle(std::size_t place, const Item& item);

  std::vector<Item> items_;
};

}  // namespace svc::registry
