#include "registry/core/deadline_heap.hpp"

namespace svc::registry {

void DeadlineHeap::put(std::size_t place, const Item& item) {
  items_[place] = item;
  item.owner->place_ = place;
}

void DeadlineHeap::sift_up(std::size_t place, const Item& item) {
  while (place > 0) {
    const std::size_t parent = (place - 1) / 2;
    if (items_[parent].at <= item.at) break;
    put(place, items_[parent]);
    place = parent;
  }
  put(place, item);
}

void DeadlineHeap::sift_down(std::size_t place, const Item& item) {
  for (;;) {
    std::size_t child = 2 * place + 1;
    if (child >= items_.size()) break;
    if (child + 1 < items_.size() && items_[child + 1].at < items_[child].at) ++child;
    if (item.at <= items_[child].at) break;
    put(place, items_[child]);
    place = child;
  }
  put(place, item);
}

void DeadlineHeap::settle(std::size_t place, const Item& item) {
  if (place > 0 && item.at < items_[(place - 1) / 2].at) {
    sift_up(place, item);
  } else {
    sift_down(place, item);
  }
}

void DeadlineHeap::set(Hook& owner, TimePoint at) {
  if (!owner.scheduled()) {
    items_.push_back(Item{at, &owner});
    owner.place_ = items_.size() - 1;
  }
  settle(owner.place_, Item{at, &owner});
}

void DeadlineHeap::withdraw(Hook& owner) {
  if (!owner.scheduled()) return;
  const std::size_t place = owner.place_;
  const Item last = items_.back();
  items_.pop_back();
  owner.place_ = Hook::kNowhere;
  if (place < items_.size()) settle(place, last);
}

}  // namespace svc::registry
