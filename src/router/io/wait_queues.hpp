// Requests that wait for a free instance of their model, in the order of WaitOrder, bounded in number and time. Late
// binding: which instance a request goes to is decided when one is free. Shared by all threads of the router.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"
#include "router/core/serve_rate.hpp"
#include "router/core/wait_order.hpp"

namespace svc::router {

struct QueueSettings {
  /// Of one model; 0 = no queue: what finds no free instance is refused at once. A newcomer beyond it is refused, or takes
  /// another one's place (WaitOrder::to_displace).
  std::size_t max_waiting = 0;
  Duration max_wait{std::chrono::seconds(30)};  ///< then 503 queue_timeout
  WaitRule rule{};                              ///< of the order among those that have a `ready`
};

/// Whose turn it is when, of one request.
struct WaitTerms {
  Priority priority = Priority::standard;
  std::uint64_t owner = 0;  ///< its API key; 0 = none
  double seconds = 0;       ///< of prefill, where that is known
  bool picky = false;       ///< what becomes free may not be for this request (it has failed there already)
  bool held = false;        ///< it would find a place, but is kept back for a better one
  /// Would it find a place now? Asked under the queue's lock, from any thread, as long as it waits: until it is woken or
  /// leave() has returned. Empty: it may whenever an instance has room.
  /// `nobody`: none that has a `ready` and is not picky would.
  std::function<WaitOrder::Place()> ready{};
};

/// All members may be called from any thread.
///
/// `wake` is called once per join or rejoin_front, from any thread and under no lock, when the request should try to
/// pick again (Call::turn) or has lost its place to another one (Call::displaced: it has left already); that may be before
/// join or rejoin_front returns. A request that then finds nothing free asks to be put
/// back (rejoin_front); one that no longer wants its turn passes it on (leave, slot_freed); one that found an instance
/// says so (count_served), and the next one tries. No turn is lost: room that was made between a vain pick and the
/// (re)joining that follows it wakes that request at once. A wake in vain is cheap, a lost one would cost a request its
/// max_wait.
class WaitQueues {
 public:
  enum class Call : std::uint8_t { turn, displaced };
  using Wake = std::function<void(Call)>;
  struct Ticket {
    std::string model;
    std::uint64_t id = 0;
    TimePoint since{};
    Priority priority = Priority::standard;
    std::uint64_t owner = 0;
    double seconds = 0;
    bool held = false;
  };
  enum class Joined : std::uint8_t { waiting, full };

  explicit WaitQueues(QueueSettings settings) : settings_(settings) {}
  /// Those who wait stay, also above a smaller bound.
  void reconfigure(QueueSettings settings);
  [[nodiscard]] QueueSettings settings() const;

  /// `model`: the served name (a router serves a bounded number of them); "" for a request that names none.
  /// `ticket` is filled in.
  Joined join(std::string_view model, TimePoint now, Wake wake, Ticket& ticket, WaitTerms terms = {});
  /// Do requests wait that would take any instance? Then a new one has to join them rather than pick.
  [[nodiscard]] bool others_first(std::string_view model) const;
  /// Woken in vain: back to its old place among those who wait, whatever the bound.
  /// `pass_on`: what is free is not for this request (it has failed there already): the next one behind it is woken.
  void rejoin_front(const Ticket& ticket, Wake wake, bool pass_on = false,
                    std::function<WaitOrder::Place()> ready = {});
  /// The request ended (timed out, client gone). False: it was woken already, and the turn that it does not use must be
  /// passed on with slot_freed.
  bool leave(const Ticket& ticket);
  /// An instance of this model got room (or became usable); called after its in_flight was lowered. Wakes the head of
  /// the model's queue and of that of the requests without a model. For "" or an upstream that takes any model:
  /// slot_freed_any. One that serves several models calls this for each of them. Cheap when nobody waits.
  void slot_freed(std::string_view model);
  /// Time has passed: those with a `ready` may have a place now. Call it now and then while anybody waits.
  void look_again();
  /// Wakes the head of every queue. (In each queue at most one is awake at a time, so that none overtakes another.)
  void slot_freed_any();
  /// A woken request found an instance: counts for the rate that Retry-After is computed from, and wakes the next one,
  /// since more than one may have got room. Each woken request calls one of count_served, rejoin_front and leave.
  void count_served(std::string_view model, TimePoint now);

  [[nodiscard]] std::size_t waiting(std::string_view model) const;
  [[nodiscard]] std::size_t waiting_in_all() const { return waiting_.load(std::memory_order_relaxed); }
  /// Of these, those that were kept back when they came.
  [[nodiscard]] std::size_t held_in_all() const { return held_.load(std::memory_order_relaxed); }
  /// Seconds after which a place may be free (ServeRate); 1 to 60.
  [[nodiscard]] unsigned retry_after(std::string_view model, TimePoint now) const;

 private:
  struct Entry {
    Wake wake;
    bool picky = false;
    std::function<WaitOrder::Place()> ready;
    bool held = false;
  };
  struct Queue {
    std::map<std::uint64_t, Entry> entries;  // by ticket id, which is the order of arrival
    WaitOrder order;                         // of the same
    std::size_t gated = 0;                   // of the entries, those with a `ready`
    std::size_t picky = 0;                   // of the entries
    // Woken, and neither served nor back nor gone. Only one at a time: two on their way could overtake each other.
    std::optional<std::uint64_t> awake;
    std::uint64_t epoch_seen = 0;  // of the last time that the head was woken
    ServeRate served;
  };
  using Queues = std::map<std::string, Queue, std::less<>>;

  void add(Queue& queue, const Ticket& ticket, Entry entry, bool again);
  /// The wake that has to be called after the lock.
  [[nodiscard]] Wake enter(Queues::iterator queue, const Ticket& ticket, Entry entry, bool again);
  /// Whose turn it is, or nothing. `except`: not that one; and nobody picky before it, who would pass it on in turn.
  [[nodiscard]] Wake take_next(Queue& queue, std::uint64_t except = 0);
  void drop(Queue& queue, std::map<std::uint64_t, Entry>::iterator entry);
  /// Makes room for a newcomer: the wake of the one that has to go. Empty: there is nobody.
  [[nodiscard]] Wake displace(Queue& queue, const WaitTerms& newcomer);
  void wake_heads(std::unique_lock<std::mutex>& lock, Queues::iterator first, Queues::iterator second);
  /// How many slots were freed that the model's requests might have used. May count those of others, never too few.
  [[nodiscard]] std::uint64_t epoch_of(std::string_view model) const;
  [[nodiscard]] static std::size_t bucket_of(std::string_view model);

  mutable std::mutex lock_;
  QueueSettings settings_;
  Queues queues_;
  std::uint64_t next_id_ = 1;
  // These two are sequentially consistent: a slot is counted before waiting_ is looked at, and a request is counted
  // before the slots are, so that one of the two always sees the other.
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::size_t> held_{0};  // of these
  std::array<std::atomic<std::uint64_t>, 64> freed_{};
  std::atomic<std::uint64_t> freed_any_{0}, freed_in_all_{0};  // for every model; of whatever model
};

}  // namespace svc::router
