-- Load for wrk: GET, PUT, FILL, or BATCH (100 reads a request), of values of `size` bytes over `keys` keys. Arguments: METHOD KEYS SIZE [KEY].
-- Requests are rendered before the clock starts, so that the client costs as little as it can.

local requests = {}
local next_request = 0

function init(args)
    local method, keys, size = args[1], tonumber(args[2]), tonumber(args[3])
    local body = string.rep("x", size)
    -- For a stack that wants to know who asks.
    local headers = {["Authorization"] = args[4] and "Bearer " .. args[4]}
    math.randomseed(os.time())
    -- FILL writes every key in turn; the others visit a random selection.
    local count = method == "FILL" and keys or method == "BATCH" and 500 or 20000
    for i = 1, count do
        local key = method == "FILL" and i or math.random(keys)
        if method == "BATCH" then
            local ops = {}
            for n = 1, 100 do
                ops[n] = string.format('{"op":"get","key":"bench-%d"}', math.random(keys))
            end
            headers["Content-Type"] = "application/json"
            requests[i] = wrk.format("POST", "/cache/_batch", headers, '{"ops":[' .. table.concat(ops, ",") .. "]}")
        elseif method == "GET" then
            requests[i] = wrk.format("GET", "/cache/bench-" .. key, headers)
        else
            requests[i] = wrk.format("PUT", "/cache/bench-" .. key, headers, body)
        end
    end
end

function request()
    next_request = next_request % #requests + 1
    return requests[next_request]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"seconds":%f,"failed":%d,"p50":%f,"p99":%f,"p999":%f}\n',
        summary.requests, summary.duration / 1e6,
        errors.status + errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
