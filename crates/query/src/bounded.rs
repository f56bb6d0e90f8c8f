//! Functions that make much of little, with a bound.
//!
//! `repeat('x', 1000000000)` is a gigabyte that no memory pool knows of, and `generate_series(1, 1000000000)` is eight; what
//! cannot be allocated at all ends the process, and with it the tasks of others. So what a call will make is worked out before it is
//! made. The functions keep their names, and plans name functions: whatever plan runs here, it runs with the bound.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::kernels::length::length;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalUnit, TimeUnit};
use datafusion::common::{ScalarValue, exec_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};
use datafusion::prelude::SessionContext;

/// Most bytes that one call makes, for all rows of a batch.
const MOST: u128 = 256 << 20;
/// Most steps of one call, which cannot be cancelled meanwhile: a minute, about.
const MOST_STEPS: u128 = 1 << 36;
/// Largest value of a type whose values are all of one size: a batch of nulls takes as much as one of values.
const LARGEST_FIXED: i32 = 4096;
/// A replacement that is shorter makes no gigabytes of what fits a batch.
const SHORT: i64 = 256;

/// The functions, and what of their arguments to look at.
const BOUNDED: [(&str, Rule); 13] = [
    ("repeat", Rule::Repeated),
    ("lpad", Rule::Padded),
    ("rpad", Rule::Padded),
    ("replace", Rule::Replaced),
    ("regexp_replace", Rule::Replaced),
    ("levenshtein", Rule::Compared),
    ("array_repeat", Rule::Elements),
    ("array_resize", Rule::Elements),
    ("range", Rule::Series),
    ("generate_series", Rule::Series),
    ("arrow_cast", Rule::Type),
    ("arrow_try_cast", Rule::Type),
    ("array_to_string", Rule::Joined),
];

/// How much a call makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rule {
    /// A text so many times.
    Repeated,
    /// So many characters.
    Padded,
    /// A text with a longer one wherever another stands.
    Replaced,
    /// Steps: one for each pair of characters.
    Compared,
    /// So many elements.
    Elements,
    /// Elements from one number or time to another.
    Series,
    /// Elements with a text between them.
    Joined,
    /// Nothing, but of a type.
    Type,
}

/// A function with a bound.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: ScalarUDF,
    rule: Rule,
}

/// Puts the bounds into a session.
pub(crate) fn bound(session: SessionContext) -> SessionContext {
    let state = session.state();
    for (name, rule) in BOUNDED {
        if let Some(function) = state.scalar_functions().get(name) {
            let function = function.as_ref().clone();
            session.register_udf(ScalarUDF::new_from_impl(Bounded { function, rule }));
        }
    }
    session
}

impl Bounded {
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let rows = if args.args.iter().any(|arg| matches!(arg, ColumnarValue::Array(_))) {
            args.number_rows
        } else {
            1
        };
        let makes = makes(self.rule, &args.args, rows)?;
        let name = self.function.name();
        if self.rule == Rule::Compared {
            return match makes > MOST_STEPS {
                true => Err(exec_datafusion_err!(
                    "{name} would take about {makes} steps for {rows} rows, and may take {MOST_STEPS}: compare shorter texts, or filter the rows before it"
                )),
                false => Ok(()),
            };
        }
        if makes > MOST {
            return Err(exec_datafusion_err!(
                "{name} would make about {} MiB of {rows} rows, and may make {} MiB: ask for less, or filter the rows before it",
                makes >> 20,
                MOST >> 20
            ));
        }
        Ok(())
    }
}

/// Bytes, or steps.
fn makes(rule: Rule, args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let lengths = |at: usize| args.get(at).map_or(Ok(None), |arg| lengths(arg, rows));
    let numbers = |at: usize| args.get(at).map_or(Ok(None), |arg| numbers(arg, rows));
    let sum = |of: &dyn Fn(usize) -> u128| (0..rows).map(of).fold(0, u128::saturating_add);
    let product = |one: &Int64Array, other: &Int64Array| sum(&|row| at(one, row).saturating_mul(at(other, row)));
    Ok(match rule {
        Rule::Repeated => match (lengths(0)?, numbers(1)?) {
            (Some(lengths), Some(times)) => product(&lengths, &times),
            _ => 0,
        },
        Rule::Padded => numbers(1)?.map_or(0, |characters| sum(&|row| at(&characters, row))),
        Rule::Replaced => match (lengths(0)?, lengths(1)?, lengths(2)?) {
            (Some(texts), Some(patterns), Some(with)) => sum(&|row| {
                let (pattern, with) = (at(&patterns, row).max(1), at(&with, row));
                let most = (at(&texts, row) / pattern + 1).saturating_mul(with);
                if with > SHORT as u128 { most } else { 0 }
            }),
            _ => 0,
        },
        Rule::Compared => match (lengths(0)?, lengths(1)?) {
            (Some(one), Some(other)) => product(&one, &other),
            _ => 0,
        },
        Rule::Elements => {
            let whole = args.iter().map(bytes).fold(0, u128::saturating_add);
            let each = whole / rows.max(1) as u128 + 8;
            numbers(1)?.map_or(0, |count| sum(&|row| at(&count, row).saturating_mul(each)))
        }
        Rule::Joined => match (lengths(0)?, lengths(1)?) {
            (Some(elements), Some(between)) => product(&elements, &between),
            _ => 0,
        },
        Rule::Series => series(args, rows)?,
        Rule::Type => 0,
    })
}

/// A number of a row; none and those below zero make nothing.
fn at(numbers: &Int64Array, row: usize) -> u128 {
    match numbers.is_valid(row) {
        true => u128::try_from(numbers.value(row)).unwrap_or(0),
        false => 0,
    }
}

fn bytes(arg: &ColumnarValue) -> u128 {
    match arg {
        ColumnarValue::Array(array) => array.get_buffer_memory_size() as u128,
        ColumnarValue::Scalar(value) => value.size() as u128,
    }
}

fn as_numbers(array: &ArrayRef) -> Option<Int64Array> {
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let cast = cast_with_options(array, &DataType::Int64, &options).ok()?;
    cast.as_primitive_opt::<Int64Type>().cloned()
}

/// Bytes of texts, or elements of lists; none when it is neither.
fn lengths(arg: &ColumnarValue, rows: usize) -> Result<Option<Int64Array>> {
    each(arg, rows, |array| length(array).ok().and_then(|told| as_numbers(&told)))
}

fn numbers(arg: &ColumnarValue, rows: usize) -> Result<Option<Int64Array>> {
    each(arg, rows, as_numbers)
}

/// A number for each row, of a value that is the same in all rows only once.
fn each(arg: &ColumnarValue, rows: usize, of: impl Fn(&ArrayRef) -> Option<Int64Array>) -> Result<Option<Int64Array>> {
    match arg {
        ColumnarValue::Array(array) => Ok(of(array)),
        ColumnarValue::Scalar(value) => {
            let one = of(&value.to_array_of_size(1)?);
            Ok(one.map(|one| Int64Array::from(vec![one.is_valid(0).then(|| one.value(0)); rows])))
        }
    }
}

/// Bytes of the elements between two numbers, or two times.
fn series(args: &[ColumnarValue], rows: usize) -> Result<u128> {
    let end = args.get(1).or_else(|| args.first());
    let times = end.is_some_and(|end| end.data_type().is_temporal());
    let units = |arg: &ColumnarValue| -> Result<Option<Int64Array>> {
        if !times {
            return numbers(arg, rows);
        }
        let nanoseconds = ColumnarValue::cast_to(arg, &DataType::Timestamp(TimeUnit::Nanosecond, None), None);
        nanoseconds.map_or(Ok(None), |arg| numbers(&arg, rows))
    };
    let zero = || Some(Int64Array::from(vec![0; rows]));
    let (start, end) = match args {
        [] => return Ok(0),
        [end] => (zero(), units(end)?),
        [start, end, ..] => (units(start)?, units(end)?),
    };
    let step = match args.get(2) {
        None => None,
        Some(step) if times => Some(Int64Array::from(vec![nanoseconds(step); rows])),
        Some(step) => numbers(step, rows)?,
    };
    let (Some(start), Some(end)) = (start, end) else {
        return Ok(0);
    };
    let elements = |row: usize| {
        if start.is_null(row) || end.is_null(row) {
            return 0;
        }
        let width = u128::from(end.value(row).abs_diff(start.value(row)));
        let step = step
            .as_ref()
            .filter(|step| step.is_valid(row))
            .map_or(1, |step| step.value(row).unsigned_abs());
        (width / u128::from(step.max(1)) + 1) * 8
    };
    Ok((0..rows).map(elements).fold(0, u128::saturating_add))
}

/// A step between times; one that differs from row to row counts for a day.
fn nanoseconds(step: &ColumnarValue) -> i64 {
    const DAY: i64 = 86_400_000_000_000;
    let ColumnarValue::Scalar(step) = step else { return DAY };
    let told = step.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano));
    match told {
        Ok(ScalarValue::IntervalMonthDayNano(Some(step))) => {
            let days = i64::from(step.months).saturating_mul(30).saturating_add(i64::from(step.days));
            days.saturating_mul(DAY).saturating_add(step.nanoseconds)
        }
        _ => DAY,
    }
}

/// Whether values of a type take more than they hold, or could grow beyond what can be allocated.
pub(crate) fn is_boundless(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeBinary(size) => *size > LARGEST_FIXED,
        DataType::FixedSizeList(field, size) => *size > LARGEST_FIXED || is_boundless(field.data_type()),
        DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => is_boundless(field.data_type()),
        DataType::ListView(field) | DataType::LargeListView(field) => is_boundless(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_boundless(field.data_type())),
        DataType::Dictionary(_, values) => is_boundless(values),
        DataType::RunEndEncoded(_, values) => is_boundless(values.data_type()),
        _ => false,
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.function.return_field_from_args(args)?;
        let large = matches!(
            field.data_type(),
            DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) | DataType::LargeListView(_)
        );
        if self.rule == Rule::Type && (large || is_boundless(field.data_type())) {
            return plan_err!(
                "{} to {} is not offered: values of that type have no bound",
                self.function.name(),
                field.data_type()
            );
        }
        Ok(field)
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.function.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.function.simplify(args, info)
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.function.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.function.short_circuits()
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.function.evaluate_bounds(input)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.function.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.function.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.preserves_lex_ordering(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.function.placement(args)
    }
}
