// Watches over the upstreams: probes them all the time, finds those that hang, sees ejections begin and end, and
// writes the verdicts that the data threads read. Decisions are HealthJudge's and HungWatch's; this is their clock
// and their sockets.
//
// A probe is GET http(s)://host:port{path}, without redirects, credentials or bodies. An instance without such a page
// is asked for its models: any answer below 500 shows that it lives. When an instance with an agent of the original's
// kind on the next port does not answer, and its agent does not say that all is well, it is down at once.
//
// Control thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/io/http_client.hpp"
#include "common/io/log.hpp"
#include "common/io/probe.hpp"
#include "common/io/random.hpp"
#include "common/io/task_group.hpp"
#include "router/core/health_judge.hpp"
#include "router/core/hung_watch.hpp"
#include "router/core/upstream.hpp"
#include "router/io/outlier_board.hpp"

namespace svc::router {

struct MonitorRules {
  HealthRules health;
  HungRules hung;
  Duration timeout{std::chrono::seconds(5)};
  std::string path = "/health";
};

/// What a probe is sent to.
struct MonitorTarget {
  std::string name, incarnation;
  Endpoint endpoint;
  bool tls = false;
  bool agent_on_next_port = false;
  bool models_stated = false;
  std::shared_ptr<UpstreamLive> live;

  [[nodiscard]] std::string url(std::string_view path) const;
};

struct MonitorCallbacks {
  std::function<void()> changed;    ///< a verdict or an ejection: a new table is due
  std::function<void()> came_back;  ///< an upstream became usable; after `changed`
  std::function<void(std::shared_ptr<UpstreamLive>)> hung;
  std::function<void(const MonitorTarget&)> proved_well;  ///< by each good probe
};

/// What is known of one upstream, for the own pages.
struct ProbeNote {
  std::optional<WallTime> checked_at;
  Duration took{};
  std::string error;  ///< of the last probe; "" when it was good
  std::uint64_t good = 0, bad = 0;
};

class HealthMonitor {
 public:
  /// `client` judges addresses by the upstreams' policy. `client`, `random` and `outliers` outlive this.
  HealthMonitor(asio::any_io_executor executor, HttpClient& client, Random& random, OutlierBoard& outliers,
                MonitorRules rules, MonitorCallbacks callbacks);
  ~HealthMonitor();
  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;

  void start(TaskGroup& tasks);
  void stop();
  void reconfigure(MonitorRules rules) { rules_ = std::move(rules); }

  /// The upstreams as they are now. New ones are probed at once. Those without an address are down; `why` tells the
  /// reason. Makes no callbacks.
  void sync(const std::vector<Upstream>& upstreams, const std::function<std::string(const Upstream&)>& why);
  /// Something happened to it in the data path.
  void check_soon(const UpstreamLive& live);
  /// nullptr: not known.
  [[nodiscard]] const ProbeNote* note(const UpstreamLive& live) const;

 private:
  struct Watched;
  static constexpr std::size_t kMaxProbes = 64;
  using WatchedPtr = std::shared_ptr<Watched>;
  struct Finding {
    ProbeFinding finding = ProbeFinding::good;
    std::string error;
    Duration took{};
  };

  asio::awaitable<void> run();
  void look_at_all(TimePoint now);
  void forget_gone();
  void look_at_silence(const WatchedPtr& watched, TimePoint now);
  void move_what_waits(Watched& watched, TimePoint now);
  void look_at_ejection(Watched& watched, TimePoint now);
  void start_due(TimePoint now);
  /// `out`: as counted when it was started.
  asio::awaitable<void> probe(WatchedPtr watched, bool out);
  asio::awaitable<std::optional<Finding>> examine(MonitorTarget target);
  asio::awaitable<void> ask_if_hung(WatchedPtr watched);
  void conclude(Watched& watched, const Finding& finding);
  void note_change(Watched& watched, ProbeVerdict before);
  void begin_ramp(Watched& watched, TimePoint now);

  asio::any_io_executor executor_;
  HttpClient& client_;
  Random& random_;
  OutlierBoard& outliers_;
  MonitorRules rules_;
  MonitorCallbacks callbacks_;
  std::unordered_map<const UpstreamLive*, WatchedPtr> watched_;
  Timer tick_;
  TaskGroup* tasks_ = nullptr;
  std::size_t probing_ = 0;      ///< ordinary probes in flight
  std::size_t probing_out_ = 0;  ///< of these, of upstreams that are out
  std::size_t asking_ = 0;       ///< probes for hung ones
  bool stopped_ = false;
  Logger log_{"health"};
};

}  // namespace svc::router
