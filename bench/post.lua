-- What wrk does: the same POST again and again (BODY; HEADERS, a line each). Its last line of output is for bench/wrk.py.
wrk.method = "POST"
wrk.body = os.getenv("BODY")
for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do wrk.headers[name] = value end

function done(summary, latency, requests)
  local errors = {}
  for kind, number in pairs(summary.errors) do errors[#errors + 1] = string.format('"%s": %d', kind, number) end
  print(string.format('\n{"answered": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "errors": {%s}}', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, table.concat(errors, ", ")))
end
