// Asks instances whose record states no models which they serve: GET /v1/models, then /models, when they are first
// well and every minute. Control thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/io/http_client.hpp"
#include "common/io/task_group.hpp"
#include "router/io/health_monitor.hpp"

namespace svc::router {

class ModelLearner {
 public:
  /// As Fleet::learn_models. Not called when the instance gave no list.
  using Learned =
      std::function<void(const std::string& name, const std::string& incarnation, std::vector<std::string> models)>;
  ModelLearner(HttpClient& client, Learned learned) : client_(client), learned_(std::move(learned)) {}

  void start(TaskGroup& tasks) { tasks_ = &tasks; }
  /// `token`: for instances that guard their list, as requests carry it; "" = none.
  void configure(bool enabled, Duration timeout, std::string token);
  /// After a good probe.
  void proved_well(const MonitorTarget& target);

 private:
  struct Asked {
    std::weak_ptr<UpstreamLive> live;
    TimePoint next{};
    bool asking = false;
  };
  asio::awaitable<void> ask(MonitorTarget target);

  HttpClient& client_;
  Learned learned_;
  TaskGroup* tasks_ = nullptr;
  bool enabled_ = true;
  std::string token_;
  Duration timeout_{std::chrono::seconds(5)};
  std::unordered_map<const UpstreamLive*, Asked> asked_;
};

}  // namespace svc::router
