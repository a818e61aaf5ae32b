#include "router/io/wait_queues.hpp"

#include <algorithm>
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

WaitQueues::Wake WaitQueues::take_head(Queue& queue) { return take(queue, queue.entries.begin()); }

WaitQueues::Wake WaitQueues::take(Queue& queue, std::map<std::uint64_t, Entry>::iterator entry) {
  Wake wake = std::move(entry->second.wake);
  queue.awake = entry->first;
  queue.entries.erase(entry);
  waiting_.fetch_sub(1);
  return wake;
}

void WaitQueues::enter(Queues::iterator queue, std::uint64_t id, Entry entry, std::unique_lock<std::mutex>& lock) {
  if (queue->second.awake == id) queue->second.awake.reset();
  queue->second.entries.emplace(id, std::move(entry));
  waiting_.fetch_add(1);
  if (queue->second.awake) return;  // that one's end wakes the next
  const std::uint64_t epoch = epoch_of(queue->first);
  if (epoch == queue->second.epoch_seen) return;
  // Room was made since somebody of this queue was woken, perhaps after this request looked for it.
  queue->second.epoch_seen = epoch;
  const Wake head = take_head(queue->second);
  lock.unlock();
  head();
}

bool WaitQueues::others_first(std::string_view model) const {
  const std::lock_guard guard(lock_);
  const auto queue = queues_.find(model);
  if (queue == queues_.end()) return false;
  const auto& entries = queue->second.entries;
  return std::any_of(entries.begin(), entries.end(), [](const auto& item) { return !item.second.picky; });
}

WaitQueues::Joined WaitQueues::join(std::string_view model, TimePoint now, Wake wake, Ticket& ticket, bool picky) {
  std::unique_lock lock(lock_);
  if (settings_.max_waiting == 0) return Joined::full;
  auto queue = queues_.find(model);
  if (queue == queues_.end()) queue = queues_.try_emplace(std::string(model)).first;
  // One that was woken keeps its place until it is served: it may find nothing free and come back.
  const std::size_t awake = queue->second.awake ? 1 : 0;
  if (queue->second.entries.size() + awake >= settings_.max_waiting) return Joined::full;
  ticket.model = model;
  ticket.id = next_id_++;
  ticket.since = now;
  enter(queue, ticket.id, {std::move(wake), picky}, lock);
  return Joined::waiting;
}

void WaitQueues::rejoin_front(const Ticket& ticket, Wake wake, bool pass_on) {
  std::unique_lock lock(lock_);
  if (pass_on) {
    Queue& queue = queues_.try_emplace(ticket.model).first->second;
    if (const auto behind = queue.entries.upper_bound(ticket.id); behind != queue.entries.end()) {
      queue.entries.emplace(ticket.id, Entry{std::move(wake), true});
      waiting_.fetch_add(1);
      const Wake next = take(queue, behind);
      lock.unlock();
      next();
      return;
    }
  }
  enter(queues_.try_emplace(ticket.model).first, ticket.id, {std::move(wake), pass_on}, lock);
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
  queue->second.entries.erase(entry);
  waiting_.fetch_sub(1);
  return true;
}

void WaitQueues::wake_heads(std::unique_lock<std::mutex>& lock, Queues::iterator first, Queues::iterator second) {
  std::array<Wake, 2> wakes;
  std::size_t count = 0;
  for (const auto queue : {first, second}) {
    if (queue == queues_.end() || queue->second.entries.empty() || queue->second.awake) continue;
    queue->second.epoch_seen = epoch_of(queue->first);
    wakes[count++] = take_head(queue->second);
  }
  lock.unlock();
  for (std::size_t i = 0; i < count; ++i) wakes[i]();
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
    wakes.push_back(take_head(queue));
  }
  lock.unlock();
  for (const Wake& wake : wakes) wake();
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
