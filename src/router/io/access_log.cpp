#include "router/io/access_log.hpp"

#include <array>
#include <cstring>

#include "common/core/hex_text.hpp"
#include "common/io/log.hpp"
#include "common/io/log_line.hpp"

namespace svc::router {
namespace {

constexpr std::size_t kTexts = 9;
constexpr std::size_t kMaxTextBytes = 4096;     // of one value; a target may be longer than anybody wants to read
constexpr std::size_t kBlockBytes = 64 * 1024;  // of one write
constexpr auto kBatchTime = std::chrono::milliseconds(50);
constexpr std::string_view kName = "access";

/// How a record lies in a lane: this, and then its texts.
struct Packed {
  std::int64_t when_us;
  std::int64_t queue_ns, first_byte_ns, total_ns, predicted_ns;
  double matched_tokens, candidates;
  std::uint64_t session, bytes_in, bytes_out, prompt_tokens, completion_tokens;
  std::array<std::uint16_t, kTexts> lengths;
  std::int32_t status;
  std::uint32_t attempts;
  FailureReason reason;
  bool stream;
};

std::array<std::string_view, kTexts> texts_of(const AccessRecord& record) {
  return {record.request_id, record.client,   record.key_name, record.method, record.path,
          record.model,      record.upstream, record.priority, record.prefix};
}

/// Reads one record off the front of `in`.
AccessRecord unpack(std::string_view& in, WallTime& when) {
  Packed packed;
  std::memcpy(&packed, in.data(), sizeof packed);
  in.remove_prefix(sizeof packed);
  AccessRecord record;
  const std::array<std::string_view*, kTexts> texts = {&record.request_id, &record.client,   &record.key_name,
                                                       &record.method,     &record.path,     &record.model,
                                                       &record.upstream,   &record.priority, &record.prefix};
  for (std::size_t i = 0; i < kTexts; ++i) {
    *texts[i] = in.substr(0, packed.lengths[i]);
    in.remove_prefix(packed.lengths[i]);
  }
  when = WallTime(std::chrono::microseconds(packed.when_us));
  record.queue_time = Duration(packed.queue_ns);
  record.first_byte = Duration(packed.first_byte_ns);
  record.total = Duration(packed.total_ns);
  record.predicted = Duration(packed.predicted_ns);
  record.matched_tokens = packed.matched_tokens;
  record.candidates = packed.candidates;
  record.session = packed.session;
  record.bytes_in = packed.bytes_in;
  record.bytes_out = packed.bytes_out;
  record.prompt_tokens = packed.prompt_tokens;
  record.completion_tokens = packed.completion_tokens;
  record.status = packed.status;
  record.attempts = packed.attempts;
  record.reason = packed.reason;
  record.stream = packed.stream;
  return record;
}

double milliseconds(Duration time) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::microseconds>(time).count()) / 1000.0;
}

}  // namespace

struct AccessLog::Lane {
  std::mutex lock;
  std::string bytes;
};

AccessLogForm parse_access_log_form(std::string_view name) {
  if (name == "text") return AccessLogForm::text;
  return name == "json" ? AccessLogForm::json : AccessLogForm::off;
}

void append_access_line(std::string& out, WallTime when, const AccessRecord& record, AccessLogForm form) {
  static thread_local std::vector<Field> fields;  // the writer makes many thousand lines a second
  fields.clear();
  const auto text = [](const char* key, std::string_view value) {
    if (!value.empty()) fields.emplace_back(key, value);
  };
  const auto time = [](const char* key, Duration value) {
    if (value >= Duration::zero()) fields.emplace_back(key, milliseconds(value));
  };
  const auto count = [](const char* key, std::uint64_t value) {
    if (value != 0) fields.emplace_back(key, value);
  };
  text("request_id", record.request_id);
  text("client", record.client);
  text("key", record.key_name);
  text("method", record.method);
  text("path", record.path);
  fields.emplace_back("status", record.status);
  text("reason", to_string(record.reason));
  text("model", record.model);
  text("upstream", record.upstream);
  count("attempts", record.attempts);
  time("queue_ms", record.queue_time);
  text("priority", record.priority);
  time("predicted_ttft_ms", record.predicted);
  if (record.matched_tokens >= 0) {
    fields.emplace_back("matched_tokens", static_cast<std::uint64_t>(record.matched_tokens));
    fields.emplace_back("candidates", static_cast<std::uint64_t>(record.candidates));
  }
  text("prefix", record.prefix);
  std::string session;
  if (record.session != 0) append_hex(session, record.session);
  text("session", session);
  time("ttft_ms", record.first_byte);
  time("total_ms", record.total);
  fields.emplace_back("bytes_in", record.bytes_in);
  fields.emplace_back("bytes_out", record.bytes_out);
  count("prompt_tokens", record.prompt_tokens);
  count("completion_tokens", record.completion_tokens);
  if (record.stream) fields.emplace_back("stream", true);
  const auto append = form == AccessLogForm::json ? append_json_line : append_text_line;
  append(out, when, LogLevel::info, kName, "request", fields);
  out += '\n';
}

AccessLog::AccessLog(std::size_t lanes, std::size_t lane_bytes) : lane_bytes_(lane_bytes) {
  for (std::size_t i = 0; i < lanes; ++i) lanes_.push_back(std::make_unique<Lane>());
}

AccessLog::~AccessLog() { stop(); }

void AccessLog::configure(AccessLogForm form, double sample) {
  constexpr double kAll = 18446744073709551616.0;  // 2^64
  const double below = sample * kAll;
  sample_below_ = below >= kAll ? ~std::uint64_t{0} : static_cast<std::uint64_t>(below > 0 ? below : 0);
  form_ = form;
}

bool AccessLog::wants(int status, FailureReason reason, std::uint64_t random) const {
  if (form_.load(std::memory_order_relaxed) == AccessLogForm::off) return false;
  if (status >= 400 || reason != FailureReason::none) return true;
  const auto below = sample_below_.load(std::memory_order_relaxed);
  return below == ~std::uint64_t{0} || random < below;
}

void AccessLog::push(std::size_t lane_index, const AccessRecord& record) {
  auto texts = texts_of(record);
  Packed packed{};
  std::size_t size = sizeof packed;
  for (std::size_t i = 0; i < kTexts; ++i) {
    texts[i] = texts[i].substr(0, kMaxTextBytes);
    packed.lengths[i] = static_cast<std::uint16_t>(texts[i].size());
    size += texts[i].size();
  }
  packed.when_us = wall_now().time_since_epoch().count();
  packed.queue_ns = record.queue_time.count();
  packed.first_byte_ns = record.first_byte.count();
  packed.total_ns = record.total.count();
  packed.predicted_ns = record.predicted.count();
  packed.matched_tokens = record.matched_tokens;
  packed.candidates = record.candidates;
  packed.session = record.session;
  packed.bytes_in = record.bytes_in;
  packed.bytes_out = record.bytes_out;
  packed.prompt_tokens = record.prompt_tokens;
  packed.completion_tokens = record.completion_tokens;
  packed.status = record.status;
  packed.attempts = record.attempts;
  packed.reason = record.reason;
  packed.stream = record.stream;

  Lane& lane = *lanes_[lane_index];
  bool first = false;
  {
    const std::lock_guard lock(lane.lock);
    if (lane.bytes.size() + size > lane_bytes_) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    first = lane.bytes.empty();
    // Through a char array: GCC 12 sees an overread in appending a struct's bytes.
    char head[sizeof packed];
    std::memcpy(head, &packed, sizeof packed);
    lane.bytes.append(head, sizeof head);
    for (const auto text : texts) lane.bytes.append(text);
  }
  if (first) wake();
}

void AccessLog::wake() {
  const std::lock_guard lock(lock_);
  pending_ = true;
  wake_.notify_one();
}

void AccessLog::start() {
  if (!writer_.joinable()) writer_ = std::thread([this] { run(); });
}

void AccessLog::stop() {
  {
    const std::lock_guard lock(lock_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (writer_.joinable()) writer_.join();
}

void AccessLog::run() {
  std::string batch;
  std::string lines;
  std::unique_lock lock(lock_);
  while (!stopping_) {
    wake_.wait(lock, [this] { return pending_ || stopping_; });
    // More lines come with the first one: they share its write.
    wake_.wait_for(lock, kBatchTime, [this] { return stopping_; });
    pending_ = false;
    lock.unlock();
    drain(batch, lines);
    lock.lock();
  }
  lock.unlock();
  drain(batch, lines);
}

void AccessLog::drain(std::string& batch, std::string& lines) {
  static const Logger log(kName);
  const auto form = form_.load(std::memory_order_relaxed);
  for (const auto& lane : lanes_) {
    batch.clear();
    {
      const std::lock_guard lock(lane->lock);
      batch.swap(lane->bytes);  // its memory goes round
    }
    std::string_view rest = batch;
    while (!rest.empty()) {
      WallTime when;
      const auto record = unpack(rest, when);
      append_access_line(lines, when, record, form);
      written_.fetch_add(1, std::memory_order_relaxed);
      if (lines.size() >= kBlockBytes || rest.empty()) {
        log.write_block(lines);
        lines.clear();
      }
    }
  }
}

}  // namespace svc::router
