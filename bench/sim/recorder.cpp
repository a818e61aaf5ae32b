#include "bench/sim/recorder.hpp"

#include <utility>

#include "common/core/json_text.hpp"

namespace svc::sim {
namespace {

std::uint64_t fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

void append_bytes(std::string& out, const char* name, std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) text += static_cast<char>(0xc0U | (byte >> 6U));
    text += byte >= 0x80 ? static_cast<char>(0x80U | (byte & 0x3fU)) : c;
  }
  out.append(",\"").append(name).append("\":");
  append_json_string(out, text);
}

}  // namespace

void Recorder::add(std::uint64_t connection, std::string_view head, std::string_view body, std::string_view trailer) {
  ++total_;
  if (requests_ == 0) return;
  Entry entry;
  if (entries_.size() >= requests_) {  // its strings are used again
    entry = std::move(entries_.front());
    entries_.pop_front();
  }
  entry.number = total_;
  entry.connection = connection;
  entry.body_bytes = body.size();
  entry.head = head;
  entry.body = body.substr(0, body_bytes_);
  entry.body_hash = body_bytes_ > 0 ? fnv1a(body) : 0;
  entry.trailer = trailer;
  entries_.push_back(std::move(entry));
}

std::string Recorder::to_json() const {
  std::string out = "{\"total\":" + std::to_string(total_) + ",\"requests\":[";
  for (const Entry& entry : entries_) {
    if (out.back() == '}') out += ',';
    out += "{\"n\":" + std::to_string(entry.number) + ",\"connection\":" + std::to_string(entry.connection);
    append_bytes(out, "head", entry.head);
    out += ",\"body_bytes\":" + std::to_string(entry.body_bytes);
    if (body_bytes_ > 0) {
      char hash[17];
      for (int i = 0; i < 16; ++i)
        hash[i] = "0123456789abcdef"[(entry.body_hash >> static_cast<unsigned>(60 - 4 * i)) & 15U];
      out.append(",\"body_hash\":\"").append(hash, 16).append("\"");
      append_bytes(out, "body", entry.body);
    }
    if (entry.trailer.size() > 2) append_bytes(out, "trailer", entry.trailer);
    out += '}';
  }
  return out + "]}";
}

}  // namespace svc::sim
