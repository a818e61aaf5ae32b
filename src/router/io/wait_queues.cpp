#include "router/io/wait_queues.hpp"

#include <utility>

namespace svc::router {

std::size_t WaitQueues::bucket_of(std::string_view model) {
  return std::hash<std::string_view>{}(model) % std::tuple_size_v<decltype(freed_)>;
}

std::uint64_t WaitQueues::epoch_of(std::string_view model) const {
  if (model.empty()) return freed_in_all_.load();
  return freed_[bucket_of(model)].load() + freed_any_.load();
}

void WaitQueues::reconfigure(QueueSettings settings) {
  const std::lock_guard guard(lock_);
  settings_ = settings;
}

QueueSettings WaitQueues::settings() const {
  const std::lock_guard guard(lock_);
  return settings_;
}

void WaitQueues::add(Queue& queue, const Ticket& ticket, Entry entry, bool again) {
  queue.gated += entry.ready ? 1U : 0U;
  queue.picky += entry.picky ? 1U : 0U;
  entry.held = ticket.held;
  held_.fetch_add(entry.held ? 1 : 0, std::memory_order_relaxed);
  queue.entries.insert_or_assign(ticket.id, std::move(entry));
  const WaitItem item{ticket.id, ticket.priority, ticket.owner, ticket.since, ticket.seconds};
  again ? queue.order.put_back(item) : queue.order.add(item);
  waiting_.fetch_add(1);
}

void WaitQueues::drop(Queue& queue, std::map<std::uint64_t, Entry>::iterator entry) {
  queue.gated -= entry->second.ready ? 1U : 0U;
  queue.picky -= entry->second.picky ? 1U : 0U;
  held_.fetch_sub(entry->second.held ? 1 : 0, std::memory_order_relaxed);
  queue.order.remove(entry->first);
  queue.entries.erase(entry);
  waiting_.fetch_sub(1);
}

WaitQueues::Wake WaitQueues::take_next(Queue& queue, std::uint64_t except) {
  if (queue.entries.empty()) return {};
  using Place = WaitOrder::Place;
  bool shut = false;  // to those with a `ready` who are not picky
  const bool others = queue.picky > 0 || queue.gated < queue.entries.size();
  const auto ready = [&](std::uint64_t id) {
    const auto& entry = queue.entries.find(id)->second;
    if (id == except || (except != 0 && entry.picky && id < except)) return Place::no;
    if (!entry.ready) return Place::yes;
    if (shut && !entry.picky) return Place::no;
    const Place place = entry.ready();
    if (place != Place::nobody || !others) return place;
    shut = true;
    return Place::no;
  };
  const auto id = queue.order.next(queue.gated > 0 ? settings_.rule : WaitRule{}, ready);
  if (!id) return {};
  const auto entry = queue.entries.find(*id);
  Wake wake = std::move(entry->second.wake);
  queue.awake = *id;
  queue.order.take(*id);
  drop(queue, entry);
  return wake;
}

WaitQueues::Wake WaitQueues::enter(Queues::iterator queue, const Ticket& ticket, Entry entry, bool again) {
  const bool gated = static_cast<bool>(entry.ready);
  if (queue->second.awake == ticket.id) queue->second.awake.reset();
  add(queue->second, ticket, std::move(entry), again);
  if (queue->second.awake) return {};  // that one's end wakes the next
  const std::uint64_t epoch = epoch_of(queue->first);
  // Where each waits for an instance of its own, the newcomer's may be free though nothing has changed.
  if (epoch == queue->second.epoch_seen && !gated) return {};
  // Room was made since somebody of this queue was woken, perhaps after this request looked for it.
  queue->second.epoch_seen = epoch;
  return take_next(queue->second);
}

WaitQueues::Wake WaitQueues::displace(Queue& queue, const WaitTerms& newcomer) {
  const auto id = queue.order.to_displace(newcomer.priority, newcomer.owner);
  if (!id) return {};
  const auto entry = queue.entries.find(*id);
  Wake wake = std::move(entry->second.wake);
  drop(queue, entry);
  return wake;
}

bool WaitQueues::others_first(std::string_view model) const {
  const std::lock_guard guard(lock_);
  const auto queue = queues_.find(model);
  if (queue == queues_.end()) return false;
  return queue->second.entries.size() > queue->second.picky;
}

WaitQueues::Joined WaitQueues::join(std::string_view model, TimePoint now, Wake wake, Ticket& ticket, WaitTerms terms) {
  std::unique_lock lock(lock_);
  if (settings_.max_waiting == 0) return Joined::full;
  auto queue = queues_.find(model);
  if (queue == queues_.end()) queue = queues_.try_emplace(std::string(model)).first;
  // One that was woken keeps its place until it is served: it may find nothing free and come back.
  const std::size_t awake = queue->second.awake ? 1 : 0;
  Wake displaced;
  if (queue->second.entries.size() + awake >= settings_.max_waiting) {
    displaced = displace(queue->second, terms);
    if (!displaced) return Joined::full;
  }
  ticket.model = model;
  ticket.id = next_id_++;
  ticket.since = now;
  ticket.priority = terms.priority;
  ticket.owner = terms.owner;
  ticket.seconds = terms.seconds;
  ticket.held = terms.held;
  const Wake next = enter(queue, ticket, {std::move(wake), terms.picky, std::move(terms.ready)}, false);
  lock.unlock();
  if (displaced) displaced(Call::displaced);
  if (next) next(Call::turn);
  return Joined::waiting;
}

void WaitQueues::rejoin_front(const Ticket& ticket, Wake wake, bool pass_on, std::function<WaitOrder::Place()> ready) {
  std::unique_lock lock(lock_);
  const auto queue = queues_.try_emplace(ticket.model).first;
  Wake next;
  if (!pass_on) {
    next = enter(queue, ticket, {std::move(wake), false, std::move(ready)}, true);
  } else {
    if (queue->second.awake == ticket.id) queue->second.awake.reset();
    add(queue->second, ticket, {std::move(wake), true, std::move(ready)}, true);
    if (queue->second.awake) return;
    const std::uint64_t epoch = epoch_of(queue->first);
    const bool changed = std::exchange(queue->second.epoch_seen, epoch) != epoch;
    next = take_next(queue->second, ticket.id);
    if (!next && changed) next = take_next(queue->second);  // room was made after it looked
  }
  lock.unlock();
  if (next) next(Call::turn);
}

bool WaitQueues::leave(const Ticket& ticket) {
  Wake wake;  // what it holds is given back after the lock
  const std::lock_guard guard(lock_);
  const auto queue = queues_.find(ticket.model);
  if (queue == queues_.end()) return false;
  const auto entry = queue->second.entries.find(ticket.id);
  if (entry == queue->second.entries.end()) {
    if (queue->second.awake == ticket.id) queue->second.awake.reset();
    return false;
  }
  wake = std::move(entry->second.wake);
  drop(queue->second, entry);
  return true;
}

void WaitQueues::wake_heads(std::unique_lock<std::mutex>& lock, Queues::iterator first, Queues::iterator second) {
  std::array<Wake, 2> wakes;
  std::size_t count = 0;
  for (const auto queue : {first, second}) {
    if (queue == queues_.end() || queue->second.entries.empty() || queue->second.awake) continue;
    queue->second.epoch_seen = epoch_of(queue->first);
    if (auto wake = take_next(queue->second)) wakes[count++] = std::move(wake);
  }
  lock.unlock();
  for (std::size_t i = 0; i < count; ++i) wakes[i](Call::turn);
}

void WaitQueues::slot_freed(std::string_view model) {
  if (model.empty()) return slot_freed_any();
  freed_[bucket_of(model)].fetch_add(1);
  freed_in_all_.fetch_add(1);
  if (waiting_.load() == 0) return;
  std::unique_lock lock(lock_);
  wake_heads(lock, queues_.find(model), queues_.find(std::string_view{}));
}

void WaitQueues::slot_freed_any() {
  freed_any_.fetch_add(1);
  freed_in_all_.fetch_add(1);
  if (waiting_.load() == 0) return;

  std::vector<Wake> wakes;
  std::unique_lock lock(lock_);
  for (auto& [name, queue] : queues_) {
    if (queue.entries.empty() || queue.awake) continue;
    queue.epoch_seen = epoch_of(name);
    if (auto wake = take_next(queue)) wakes.push_back(std::move(wake));
  }
  lock.unlock();
  for (const Wake& wake : wakes) wake(Call::turn);
}

void WaitQueues::look_again() {
  if (waiting_.load() == 0) return;
  std::vector<Wake> wakes;
  std::unique_lock lock(lock_);
  for (auto& [name, queue] : queues_) {
    if (queue.gated == 0 || queue.awake) continue;
    if (auto wake = take_next(queue)) wakes.push_back(std::move(wake));
  }
  lock.unlock();
  for (const Wake& wake : wakes) wake(Call::turn);
}

void WaitQueues::count_served(std::string_view model, TimePoint now) {
  std::unique_lock lock(lock_);
  auto found = queues_.find(model);
  if (found == queues_.end()) found = queues_.try_emplace(std::string(model)).first;
  found->second.served.count(now);
  found->second.awake.reset();
  // One wake may stand for several slots (those freed while nobody waited): who finds one lets the next one look.
  (model.empty() ? freed_in_all_ : freed_[bucket_of(model)]).fetch_add(1);
  wake_heads(lock, found, queues_.end());
}

std::size_t WaitQueues::waiting(std::string_view model) const {
  const std::lock_guard guard(lock_);
  const auto queue = queues_.find(model);
  return queue == queues_.end() ? 0 : queue->second.entries.size();
}

unsigned WaitQueues::retry_after(std::string_view model, TimePoint now) const {
  const std::lock_guard guard(lock_);
  const auto queue = queues_.find(model);
  return queue == queues_.end() ? 1 : queue->second.served.retry_after(queue->second.entries.size(), now);
}

}  // namespace svc::router
