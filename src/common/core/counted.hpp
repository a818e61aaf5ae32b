// Adds to a counter for as long as it lives, so that no way out of a scope leaves the counter up.
#pragma once

#include <cstddef>
#include <utility>

namespace svc {

/// Movable: it may be handed to a coroutine as an argument. The counter must outlive it. One thread.
class Counted {
 public:
  explicit Counted(std::size_t& counter, std::size_t amount = 1) : counter_(&counter), amount_(amount) {
    *counter_ += amount_;
  }
  ~Counted() {
    if (counter_ != nullptr) *counter_ -= amount_;
  }
  Counted(Counted&& other) noexcept : counter_(std::exchange(other.counter_, nullptr)), amount_(other.amount_) {}
  Counted& operator=(Counted&&) = delete;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::size_t* counter_;
  std::size_t amount_;
};

}  // namespace svc
