// Follows a registry. The original ones are polled; ours says its revision in every answer, and is then watched, so
// that a change is known at once.
//
// Polling: GET URL/services?healthy=true, at once and then every sync_interval. Watching: one whole list, then long
// polls for the changes after the revision that is known, each of sync_interval at most. The whole list is fetched anew
// every sync_interval (of a very large fleet less often), and at once when the epoch is another, or a revision is
// missing or goes back. When the registry cannot be reached or answers nonsense, the list stays, and it is tried again
// after a random wait that grows up to sync_interval.
//
// Everything on one thread, the executor's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/core/backoff.hpp"
#include "common/core/http_url.hpp"
#include "common/io/http_client.hpp"
#include "common/io/log.hpp"
#include "common/io/log_limit.hpp"
#include "common/io/random.hpp"
#include "common/io/task_group.hpp"
#include "router/core/service_record.hpp"

namespace svc::router {

struct RegistryWatcherSettings {
  HttpUrl registry;   ///< without /services
  std::string token;  ///< bearer token; "" = none
  Duration sync_interval{std::chrono::seconds(10)};
  AddressPolicy upstreams;  ///< services with a numeric address that it refuses are passed over
};

/// All are called on the executor's thread, and may change the settings but not stop the watcher.
struct RegistryWatcherCallbacks {
  /// As Fleet::apply_list.
  std::function<void(std::vector<UpstreamSpec> specs, bool healthy_only, bool incomplete)> on_list;
  /// As Fleet::apply_change.
  std::function<void(const std::string& name, std::optional<UpstreamSpec> spec)> on_change;
  /// After each good answer, when the calls above for it were made. May be empty.
  std::function<void(TimePoint now)> on_contact;
};

enum class RegistryLink : std::uint8_t {
  never_reached,
  polling,   ///< an original registry
  watching,  ///< ours
};
[[nodiscard]] std::string_view to_string(RegistryLink link);

struct RegistryCounters {
  std::uint64_t polls = 0;         ///< lists asked for by polling
  std::uint64_t watch_events = 0;  ///< changes that a watch told
  std::uint64_t resyncs = 0;       ///< whole lists taken over while watching
  std::uint64_t errors = 0;        ///< calls that failed
  std::uint64_t unreadable = 0;    ///< entries that were passed over
};

class RegistryWatcher {
 public:
  /// `client` and `random` outlive the watcher; the client's address policy must allow the registry, so give it one of
  /// its own when upstreams are restricted.
  RegistryWatcher(asio::any_io_executor executor, HttpClient& client, RegistryWatcherSettings settings, Random& random,
                  RegistryWatcherCallbacks callbacks);

  /// Spawns the coroutine in `tasks`, which must be cancelled and idle before this object goes.
  void start(TaskGroup& tasks);
  /// Ends the waiting between calls; the call in progress ends by the cancellation of the tasks.
  void stop();
  /// From the next call on. Another registry is asked at once; the list stays until it answers.
  void reconfigure(RegistryWatcherSettings settings);

  [[nodiscard]] RegistryLink link() const { return link_; }
  /// Why the last call failed; "" when it did not.
  [[nodiscard]] const std::string& last_error() const { return last_error_; }
  [[nodiscard]] std::optional<TimePoint> last_contact() const { return last_contact_; }
  /// Since the last good answer; nullopt before the first.
  [[nodiscard]] std::optional<Duration> age(TimePoint now) const;
  [[nodiscard]] const RegistryCounters& counters() const { return counters_; }
  [[nodiscard]] std::uint64_t revision() const { return revision_; }  ///< 0 unless watching

 private:
  enum class Question : std::uint8_t { poll, whole_list, changes };

  asio::awaitable<void> run(std::uint64_t generation);
  [[nodiscard]] Question next_question() const;
  [[nodiscard]] HttpCall call_for(Question question, Duration wait) const;
  Result<bool> take(Question question, const Result<HttpReply>& reply, bool early);
  void take_list(RegistryAnswer& answer, bool healthy_only);
  bool take_changes(RegistryAnswer& answer);
  void keep_allowed(std::vector<UpstreamSpec>& specs);
  bool allowed(const UpstreamSpec& spec);
  void note_unreadable(std::size_t count, const std::string& reason);
  void note_success(TimePoint now);
  void note_failure(const Error& error, TimePoint now);
  void forget();
  asio::awaitable<void> pause(Duration time);

  asio::any_io_executor executor_;
  HttpClient& client_;
  RegistryWatcherSettings settings_;
  Random& random_;
  RegistryWatcherCallbacks callbacks_;
  Logger log_{"discovery"};
  LogLimiter unreadable_limit_{1, 1.0 / 60};
  Timer timer_;
  Backoff backoff_;
  bool stopping_ = false;
  TaskGroup* tasks_ = nullptr;
  std::uint64_t generation_ = 0;  ///< counts changes of the registry, so that an answer of the old one is not taken

  RegistryLink link_ = RegistryLink::never_reached;
  std::uint64_t revision_ = 0;
  std::string epoch_;
  bool warming_ = false;
  bool need_whole_list_ = true;
  Duration rest_{};  ///< before the next question
  TimePoint whole_list_at_{};
  Duration list_took_{};  ///< to read the last one
  std::optional<TimePoint> last_contact_;
  std::optional<TimePoint> failing_since_;
  std::string last_error_;
  RegistryCounters counters_;
};

}  // namespace svc::router
